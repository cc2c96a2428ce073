"""A data set of one's own: BIDS trees and descriptions in one YAML file."""
