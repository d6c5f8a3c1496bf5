"""CE-Bench: what features do on contrastive stories."""
