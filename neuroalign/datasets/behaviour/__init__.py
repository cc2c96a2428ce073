"""What people do: similarity judgements and reading times."""
