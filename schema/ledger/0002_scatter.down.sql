DROP TABLE IF EXISTS tidegate.route;
DROP TABLE IF EXISTS tidegate.stretch;
