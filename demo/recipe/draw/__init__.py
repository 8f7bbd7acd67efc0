"""Pictures of the demo world and their dense labels. Units are pixels of the native picture unless said otherwise."""
