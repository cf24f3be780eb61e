DROP TABLE IF EXISTS tidegate.upkeep;
DROP TABLE IF EXISTS tidegate.retired;
