"""What the tests of the deployed system share: servers that stand in for AWS, the template, and Spark."""
