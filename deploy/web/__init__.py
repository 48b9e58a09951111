"""What all pages of the project share: their frame, texts in two languages, look, and what keeps strangers out."""
