"""lacbench: anime line-art colorization as a benchmark, from scraped pixels to a p-value."""

__version__ = "0.1.0"
