"""What is made of finished runs: tables in the terminal and one HTML file.

It knows no model; it reads what runs left behind.
"""
