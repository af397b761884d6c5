"""The commands of `vis`: parse, call, print; registered by `app`, imported by nobody else."""
