"""The pages: templates, style sheets and small modules that a browser runs as they are."""
