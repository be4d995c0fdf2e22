def main(header, blobs, channel): return 0
