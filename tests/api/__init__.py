"""The API of generated routes and its own routes, through the application in this process."""
