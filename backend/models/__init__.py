"""Language models, sparse autoencoders and sentence embedders."""
