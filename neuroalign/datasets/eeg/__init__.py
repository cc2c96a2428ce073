"""EEG and MEG: epochs, averages, sensors."""
