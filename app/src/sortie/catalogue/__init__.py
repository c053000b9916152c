"""The catalogue: applications and their categories, who sees them, import and export."""
