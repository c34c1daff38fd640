"""Who is trained on and who is tested, and how others can repeat it."""
