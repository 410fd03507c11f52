"""From generated folders to an archive that an ecosystem takes: one model, or several."""
