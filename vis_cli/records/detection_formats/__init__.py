"""Detection files of other programs: one module per format. `records.detection_file` selects the format."""
