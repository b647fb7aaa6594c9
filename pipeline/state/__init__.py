"""The state of one partition and its checkpoints. Pure: records in, rows and changelog entries out."""
