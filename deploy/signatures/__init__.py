"""Names, options and help of the commands whose work is in `deploy.commands`.

Every start of `orders` reads these modules, so they import nothing heavy. Each command imports its work when it runs.
"""
