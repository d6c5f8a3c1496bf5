"""What every page is framed with and every table and chart is made of."""
