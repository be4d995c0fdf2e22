"""What people read: terminal table and self-contained HTML."""
