"""What a release is made of: the image, the packaged chart, the workflows."""
