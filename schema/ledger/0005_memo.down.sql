DROP TABLE IF EXISTS tidegate.memo;
