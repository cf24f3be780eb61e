DROP TABLE IF EXISTS tidegate.reject;
DROP TABLE IF EXISTS tidegate.portion;
DROP TABLE IF EXISTS tidegate.load;
DROP TABLE IF EXISTS tidegate.load_set;
DROP TABLE IF EXISTS tidegate.content;
DROP TABLE IF EXISTS tidegate.run;
