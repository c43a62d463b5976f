"""Files and hubs -> Examples -> Rows. Alone here: datasets, chat templates, tokenized spans."""
