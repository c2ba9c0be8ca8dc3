"""What becomes of pixels and files of photographs: scaling, and whether a file is whole."""
