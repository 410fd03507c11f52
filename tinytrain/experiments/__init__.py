"""Experiments: models, data, schemes and rules against each other, many runs over all cores."""
