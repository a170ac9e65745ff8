"""The HTML page that --mode test writes: pictures, numbers and a 3D view of every photo's face in one file."""
