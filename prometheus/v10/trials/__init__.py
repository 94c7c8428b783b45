"""What ways of founding come to: trials on markets of planted truth, and side by side on any market."""
