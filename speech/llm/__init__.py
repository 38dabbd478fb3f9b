"""Replies: knowledge base, rules, language models."""
