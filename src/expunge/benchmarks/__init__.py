"""What models are judged by: a Case, its metrics and the published numbers; one file each."""
