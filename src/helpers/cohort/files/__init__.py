"""Reading files: DICOM, NIfTI and image files, single or in series, in folders or archives, as pixels with a scale."""
