"""The dashboard in the browser: pages drawn here as HTML, live figures pushed to them."""
