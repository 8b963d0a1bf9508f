"""Programs that these tests run in processes of their own."""
