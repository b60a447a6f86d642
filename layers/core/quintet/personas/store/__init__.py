"""The room's tables: sessions, processes, and what personas keep."""
