"""Reports: self-contained HTML pages a person looks at before trusting numbers."""
