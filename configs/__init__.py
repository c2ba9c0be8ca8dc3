"""Presets: YAML files that hold differences from the defaults only."""
