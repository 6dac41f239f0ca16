-- Remove the state of format 3 or older: it has only records of ended jobs, which are carried over.
ALTER SCHEMA pgrecast RENAME TO pgrecast_before;
