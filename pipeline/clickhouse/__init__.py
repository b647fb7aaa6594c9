"""The client of ClickHouse, its schema, its errors, and questions that are asked read only."""
