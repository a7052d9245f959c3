"""The schema's history, one numbered file a step. Run by `storage.data_dir.migrate`."""
