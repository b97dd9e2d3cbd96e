DROP TABLE likes;
DROP TABLE post_translations;
DROP TABLE posts;
DROP TABLE members;
DROP TABLE communities;
