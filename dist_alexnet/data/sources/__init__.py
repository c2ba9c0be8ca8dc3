"""Where photographs come from before they are prepared: class folders, the ILSVRC archives, the files of Hugging Face."""
