"""The stock way: FastAPI with SQLModel sessions as in their tutorials, with two small middlewares."""

import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from sqlalchemy import JSON, Column, DateTime, func
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.middleware.base import BaseHTTPMiddleware

from service.models.uuid7 import uuid7

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"),
    pool_pre_ping=True,
    pool_size=8,
    max_overflow=0,
)
Next = Callable[[Request], Awaitable[Response]]


class ArticleIn(SQLModel):
    sku: str = Field(max_length=40)
    name: str = Field(max_length=200)
    price: Decimal = Field(ge=0)
    stock: int = Field(default=0, ge=0)
    shelf_id: uuid.UUID


class StockChange(SQLModel):
    stock: int = Field(ge=0)


class Article(SQLModel, table=True):
    __tablename__ = "tests_article"

    id: uuid.UUID = Field(default_factory=uuid7, primary_key=True)
    sku: str
    name: str
    description: str = ""
    price: Decimal
    stock: int = 0
    status: str = "draft"
    tags: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(TEXT)))
    attributes: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON))
    shelf_id: uuid.UUID
    created_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=func.now())
    )
    updated_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=func.now())
    )
    created_by: str = "bench"
    updated_by: str = "bench"
    version: int = 1


class Page(SQLModel):
    items: list[Article]


async def session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session)]
app = FastAPI()


async def add_request_id(request: Request, call_next: Next) -> Response:
    response = await call_next(request)
    response.headers["X-Request-Id"] = uuid.uuid4().hex
    return response


async def add_duration(request: Request, call_next: Next) -> Response:
    began = time.perf_counter()
    response = await call_next(request)
    response.headers["Server-Timing"] = f"app;dur={(time.perf_counter() - began) * 1000:.1f}"
    return response


app.add_middleware(BaseHTTPMiddleware, dispatch=add_request_id)
app.add_middleware(BaseHTTPMiddleware, dispatch=add_duration)


@app.get("/api/v1/articles/{item_id}")
async def read(item_id: uuid.UUID, session: Session, response: Response) -> Article:
    article = await session.get(Article, item_id)
    if article is None:
        raise HTTPException(404)
    response.headers["ETag"] = f'"{article.version}"'
    return article


@app.get("/api/v1/articles")
async def list_articles(session: Session, status: str, sort: str, limit: int = 50) -> Page:
    query = (
        select(Article).where(col(Article.status) == status).order_by(getattr(Article, sort), col(Article.id))
    )
    return Page(items=list((await session.exec(query.limit(limit))).all()))


@app.post("/api/v1/articles", status_code=201)
async def create(given: ArticleIn, session: Session, response: Response) -> Article:
    article = Article.model_validate(given)
    session.add(article)
    await session.commit()
    await session.refresh(article)
    response.headers["ETag"] = f'"{article.version}"'
    return article


@app.patch("/api/v1/articles/{item_id}")
async def update(
    item_id: uuid.UUID,
    given: StockChange,
    session: Session,
    response: Response,
    if_match: Annotated[str, Header()],
) -> Article:
    article = await session.get(Article, item_id)
    if article is None:
        raise HTTPException(404)
    if if_match != f'"{article.version}"':
        raise HTTPException(412)
    article.stock, article.version, article.updated_at = given.stock, article.version + 1, datetime.now(UTC)
    session.add(article)
    await session.commit()
    await session.refresh(article)
    response.headers["ETag"] = f'"{article.version}"'
    return article
