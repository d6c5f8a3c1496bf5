"""ExpertLens: units that know a concept, by average precision."""
