"""What must hold for the project as a whole: its imports, its documentation, its examples."""
