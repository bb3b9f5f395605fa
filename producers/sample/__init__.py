"""The believable sample: a week of every connected indicator, told as agencies would, mistakes included."""
