DROP TABLE blocks;
DROP TABLE users;
