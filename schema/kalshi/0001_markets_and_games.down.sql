DROP TABLE IF EXISTS espn.game_states;
DROP TABLE IF EXISTS espn.games;
DROP TABLE IF EXISTS kalshi.trades;
DROP TABLE IF EXISTS kalshi.markets;
