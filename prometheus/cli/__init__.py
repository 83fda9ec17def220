"""Front doors: the ``prometheus`` command and what the scripts and jobs are made from."""
