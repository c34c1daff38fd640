"""What pixels tell once they are decoded: hash, plausibility, text burned in, copies."""
