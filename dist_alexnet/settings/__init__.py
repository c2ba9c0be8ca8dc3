"""How typed text becomes settings: presets, values read by the type of their field, settings that would do nothing."""
