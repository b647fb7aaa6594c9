"""For assistants that ask (MCP): the catalogue, questions, the people behind a number and the plan, read-only."""
